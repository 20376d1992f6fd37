"""uvicorn celery_api:api"""

import json

from celery_tasks import answer
from http_api import create_api


def enqueue(job_id: str, question: str) -> None:
    answer.apply_async((question,), task_id=job_id)


def read_answer(message: bytes) -> dict:
    """Celery's Redis backend publishes each result on the channel of its key."""
    state = json.loads(message)
    if state["status"] != "SUCCESS":
        raise RuntimeError(f"the task ended as {state['status']}")
    return state["result"]


api = create_api(enqueue, "celery-task-meta-", read_answer)
