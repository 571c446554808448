"""The client of a DTI service: train concepts of text-to-image models from a few pictures, over HTTP.

```python
from pathlib import Path
from dti_client import Client

with Client() as dti:                                   # DTI_URL and DTI_API_KEY
    job = dti.train_from_folder("my-dog", "dog", Path("pictures"))  # a folder of pictures, captions and masks
    dti.wait(job, on_progress=lambda job: print(job.progress))
    job = dti.wait(dti.create_generation("a photo of <my-dog> on the beach", num_images=4))
    dti.download(job, Path("results"))
```
"""

from dti_client.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
