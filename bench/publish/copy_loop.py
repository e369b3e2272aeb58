"""Copies a folder's artifacts to another within S3, as a notebook does it: prints its seconds as JSON.

usage: copy_loop.py BUCKET FROM TO THREADS
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config


def main() -> None:
    bucket, source, target, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=threads)
    s3 = boto3.client("s3", config=config)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=source)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]

    def copy(key: str) -> None:
        name = key[len(source) :]
        s3.copy_object(Bucket=bucket, Key=target + name, CopySource={"Bucket": bucket, "Key": key})

    started = time.perf_counter()
    if threads == 1:
        for key in keys:
            copy(key)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, keys))
    print(json.dumps({"copied": len(keys), "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
