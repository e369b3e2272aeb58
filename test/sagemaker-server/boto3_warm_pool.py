"""What boto3 shows of a job's warm pool and checkpoints, and how it ends a pool; prints one JSON object."""

import json
import sys

import boto3


def main() -> None:
    settings = json.loads(sys.argv[1])
    sagemaker = boto3.client(
        "sagemaker",
        endpoint_url=settings["url"],
        aws_access_key_id=settings["accessKeyId"],
        aws_secret_access_key=settings["secretAccessKey"],
        region_name="us-east-1",
    )
    name = settings["name"]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    available = sagemaker.list_training_jobs(NameContains=name, WarmPoolStatusEquals="Available")
    updated = sagemaker.update_training_job(
        TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
    )
    ended = sagemaker.describe_training_job(TrainingJobName=name)
    print(
        json.dumps(
            {
                "pool": job["WarmPoolStatus"],
                "checkpoints": job["CheckpointConfig"],
                "seconds": [job["TrainingTimeInSeconds"], job["BillableTimeInSeconds"]],
                "listed": [each["WarmPoolStatus"] for each in available["TrainingJobSummaries"]],
                "updated": updated["TrainingJobArn"],
                "ended": ended["WarmPoolStatus"],
            }
        )
    )


if __name__ == "__main__":
    main()
