"""uvicorn rq_api:api"""

import json
import os

from redis import Redis
from rq import Queue

import rq_tasks
from http_api import create_api

queue = Queue("noop", connection=Redis.from_url(os.environ["REDIS_URL"]))


def enqueue(job_id: str, question: str) -> None:
    # A description of its own, or RQ writes the call's text out for its log.
    queue.enqueue(rq_tasks.answer, job_id, question, job_id=job_id, result_ttl=600, description="noop")


api = create_api(enqueue, rq_tasks.CHANNEL_PREFIX, json.loads)
