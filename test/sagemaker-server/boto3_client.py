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
