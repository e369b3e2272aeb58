"""What a user of boto3 does with the server; prints one JSON object of what came back."""

import json
import sys
from typing import Any, Callable

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError


def refusal(call: Callable[[], Any]) -> dict[str, Any]:
    """The error of a call that must fail."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"] | {"status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    raise AssertionError("the call was accepted")


def main() -> None:
    settings = json.loads(sys.argv[1])
    session = boto3.Session(
        aws_access_key_id=settings["accessKeyId"],
        aws_secret_access_key=settings["secretAccessKey"],
        region_name="us-east-1",
    )
    config = Config(retries={"total_max_attempts": 1})
    where = {"endpoint_url": settings["url"], "config": config}
    sagemaker = session.client("sagemaker", **where)
    runtime = session.client("sagemaker-runtime", **where)
    sts = session.client("sts", **where)
    prefix, bucket, role = settings["prefix"], settings["bucket"], settings["roleArn"]

    def create(name: str, **changes: Any) -> str:
        request = {
            "TrainingJobName": name,
            "RoleArn": role,
            "AlgorithmSpecification": {
                "TrainingImage": "registry/modelfleet-noop:1",
                "TrainingInputMode": "File",
            },
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/boto3/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "HyperParameters": {"metric:rmse": "1.5"},
        }
        return sagemaker.create_training_job(**(request | changes))["TrainingJobArn"]

    names = [f"{prefix}-{index}" for index in range(5)]
    arns = [create(name) for name in names]
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    for name in names:
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=prefix, SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    job = sagemaker.describe_training_job(TrainingJobName=names[0])

    prepared = prefix + "-prepare"
    sagemaker.create_processing_job(
        ProcessingJobName=prepared,
        RoleArn=role,
        AppSpecification={
            "ImageUri": "registry/sagemaker-scikit-learn:1",
            "ContainerEntrypoint": ["python3", "-c", "import sys; print('had', sys.argv[1:])"],
            "ContainerArguments": ["--rows", "7"],
        },
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 5,
            }
        },
    )
    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName=prepared, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    transformed = prefix + "-transform"
    sagemaker.create_transform_job(
        TransformJobName=transformed,
        ModelName=settings["model"],
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": settings["input"]}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": settings["output"], "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
        TransformJobName=transformed, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    jobs = {
        "processing": [
            summary["ProcessingJobStatus"]
            for page in sagemaker.get_paginator("list_processing_jobs").paginate(NameContains=prefix)
            for summary in page["ProcessingJobSummaries"]
        ],
        "transform": [
            summary["TransformJobStatus"]
            for page in sagemaker.get_paginator("list_transform_jobs").paginate(NameContains=prefix)
            for summary in page["TransformJobSummaries"]
        ],
        "unknown": refusal(lambda: sagemaker.describe_transform_job(TransformJobName="nobody")),
        "not_stopped": refusal(
            lambda: sagemaker.stop_processing_job(ProcessingJobName=prepared)
        ),
    }

    group = f"{prefix}-group"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": "registry/sagemaker-xgboost:1", "ModelDataUrl": f"s3://{bucket}/m.tar.gz"}
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    approved = sagemaker.list_model_packages(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved"
    )["ModelPackageSummaryList"]

    try:
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="nobody")
        waited = "in service"
    except WaiterError as error:
        waited = str(error)

    assumed = sts.assume_role(RoleArn=role, RoleSessionName="boto3")
    print(
        json.dumps(
            {
                "arns": arns,
                "listed": [
                    summary["TrainingJobName"]
                    for page in pages
                    for summary in page["TrainingJobSummaries"]
                ],
                "jobs": jobs,
                "metric": job["FinalMetricDataList"][0]["Value"],
                "year": job["CreationTime"].year,
                "package": package,
                "approved": [summary["ModelPackageVersion"] for summary in approved],
                "account": sts.get_caller_identity()["Account"],
                "assumed": assumed["AssumedRoleUser"]["Arn"],
                "expires": assumed["Credentials"]["Expiration"].year,
                "waited": waited,
                "in_use": refusal(lambda: create(names[0])),
                "not_found": refusal(
                    lambda: sagemaker.describe_training_job(TrainingJobName="nobody")
                ),
                "bad_name": refusal(lambda: create("my_job")),
                "runtime": refusal(
                    lambda: runtime.invoke_endpoint(EndpointName="nobody", Body=b"1")
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
