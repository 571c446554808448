"""Schemas of OpenAI's images endpoint."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schema_fields import RequestModel, Text
from api.schemas.requests import Webhook
from api.schemas.responses import ResponseModel, Warning  # noqa: A004 - the API's word
from dti.spec.settings import PictureFormat
from service.concepts.generations import GenerateParams

Size = Annotated[str, Field(pattern=r"^(auto|[0-9]{1,5}x[0-9]{1,5})$", description="WIDTHxHEIGHT, or `auto`.")]


class ImagesRequest(RequestModel):
    """Images to generate from a prompt. Other OpenAI fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    prompt: Annotated[Text, Field(description="May contain any number of concepts as <name>.")]
    model: Annotated[Text | None, Field(description="One of /v1/models; default: the model of the concepts.")] = None
    n: Annotated[int | None, Field(ge=1, le=16, description="Number of images.")] = 1
    size: Annotated[Size | None, Field(description="WIDTHxHEIGHT in pixels, or `auto` for the model's size.")] = "auto"
    response_format: Annotated[
        Literal["url", "b64_json"] | None, Field(description="Signed URLs, which expire, or the images themselves.")
    ] = "url"
    output_format: Annotated[PictureFormat | None, Field(description="The format of the files.")] = "png"
    user: Annotated[Text | None, Field(description="Accepted and not stored.")] = None
    stream: Annotated[
        Literal[False] | None, Field(description="Streaming is not supported here; see /v1/jobs/{id}/events.")
    ] = None
    webhook: Webhook = None

    def params(self) -> GenerateParams:
        """The request as the service takes it."""
        width, height = (None, None) if self.size in {None, "auto"} else map(int, str(self.size).split("x"))
        rendering = {"num_images": self.n, "width": width, "height": height, "format": self.output_format}
        return GenerateParams(
            prompt=self.prompt,
            model=self.model,
            rendering={name: value for name, value in rendering.items() if value is not None},
            webhook=self.webhook.params() if self.webhook else None,
        )


class OpenAIImage(ResponseModel):
    """An image, as a URL or in base64. The prompt is never revised."""

    url: str | None
    """A signed URL, which expires; null where base64 was asked for."""
    b64_json: str | None
    """The file in base64; null where URLs were asked for."""
    revised_prompt: None
    """Always null."""


class ImagesAnswer(ResponseModel):
    """Generated images; `created` in seconds since 1970, `warnings` those of the job."""

    created: int
    """Seconds since 1970."""
    size: str
    """WIDTHxHEIGHT in pixels."""
    output_format: PictureFormat
    """The format of the files."""
    data: list[OpenAIImage]
    """The images."""
    warnings: list[Warning]
    """Parts of the request that have no effect."""
