"""Reads metrics as boto3 does; the settings come as JSON, the answer goes out as JSON."""

import datetime
import json
import sys

import boto3
from botocore.exceptions import ClientError

settings = json.loads(sys.argv[1])
client = boto3.client(
    "cloudwatch",
    endpoint_url=settings["url"],
    region_name="us-east-1",
    aws_access_key_id=settings["accessKeyId"],
    aws_secret_access_key=settings["secretAccessKey"],
)
now = datetime.datetime.now(datetime.timezone.utc)
span = {"StartTime": now - datetime.timedelta(hours=1), "EndTime": now + datetime.timedelta(hours=1)}
dimensions = [
    {"Name": "VariantName", "Value": "all"},
    {"Name": "EndpointName", "Value": settings["endpoint"]},
]
metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations"}

statistics = client.get_metric_statistics(
    **metric, **span, Dimensions=dimensions, Period=3600, Statistics=["Sum", "SampleCount"]
)
pages = client.get_paginator("get_metric_data").paginate(
    **span,
    MetricDataQueries=[
        {
            "Id": "calls",
            "MetricStat": {
                "Metric": {**metric, "Dimensions": dimensions},
                "Period": 3600,
                "Stat": "Sum",
            },
        }
    ],
)
names = [
    each["MetricName"]
    for page in client.get_paginator("list_metrics").paginate(Dimensions=dimensions)
    for each in page["Metrics"]
]
try:
    client.get_metric_statistics(**metric, **span, Period=90, Statistics=["Sum"])
    refused = None
except ClientError as error:
    refused = error.response["Error"]["Code"]
print(
    json.dumps(
        {
            "sum": sum(point["Sum"] for point in statistics["Datapoints"]),
            "label": statistics["Label"],
            "values": sum(v for page in pages for r in page["MetricDataResults"] for v in r["Values"]),
            "names": names,
            "refused": refused,
        }
    )
)
