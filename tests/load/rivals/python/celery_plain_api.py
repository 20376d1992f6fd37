"""uvicorn celery_plain_api:api: submits and waits as tutorials do, in the threads that FastAPI runs plain functions in."""

from uuid import uuid4

from fastapi import Body, FastAPI

import noop_model
from celery_tasks import answer

api = FastAPI(openapi_url=None)


@api.get("/health")
async def health() -> dict:
    return {"status": "ok"}


@api.post("/jobs")
def submit(question: str, image: bytes = Body(media_type="image/jpeg")) -> dict:
    job_id = str(uuid4())
    noop_model.store.set(f"image:{job_id}", image, ex=600)
    output = answer.apply_async((question,), task_id=job_id).get(timeout=30)
    return {"id": job_id, "status": "succeeded", "output": output}
