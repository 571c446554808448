# Two images from one source: `api` without torch, and `worker` with it.
FROM python:3.11-slim AS source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
# Numeric, so that Kubernetes can tell that it is not root.
RUN useradd --create-home --uid 10001 dti && install --directory --owner=dti /data
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY cli cli
COPY stack stack
COPY api api
COPY worker worker
COPY service service
COPY dti dti
COPY migrations migrations
COPY client client

FROM source AS api
RUN pip install --constraint constraints.txt ./client .
USER 10001
EXPOSE 8000
CMD ["dti", "api"]

FROM source AS worker
RUN pip install --constraint constraints.txt ./client '.[worker]'
USER 10001
ENV HF_HOME=/data/huggingface
CMD ["dti", "worker"]
