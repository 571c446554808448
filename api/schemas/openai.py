"""Pictures as OpenAI's clients ask for them and are answered."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schema_fields import RequestModel, Text
from api.schemas.requests import Webhook
from api.schemas.responses import ResponseModel
from dti.spec.settings import PictureFormat

Size = Annotated[str, Field(pattern=r"^(auto|[0-9]{1,5}x[0-9]{1,5})$", description="WIDTHxHEIGHT, or `auto`.")]


class ImagesRequest(RequestModel):
    """Pictures to be made from a prompt. What else OpenAI's clients send is taken no notice of."""

    model_config = ConfigDict(extra="ignore")

    prompt: Annotated[Text, Field(description="Concepts stand in it as <name>, as many as are wanted.")]
    model: Annotated[Text | None, Field(description="One of /v1/models; by default that of the concepts.")] = None
    n: Annotated[int | None, Field(ge=1, le=16, description="How many pictures.")] = 1
    size: Size | None = "auto"
    response_format: Annotated[
        Literal["url", "b64_json"] | None, Field(description="Addresses, which work for a while, or the pictures.")
    ] = "url"
    output_format: PictureFormat | None = "png"
    user: Annotated[Text | None, Field(description="StoredResponse nowhere.")] = None
    stream: Annotated[
        Literal[False] | None, Field(description="Pictures come at once; jobs are followed at /v1/jobs/{id}/events.")
    ] = None
    webhook: Webhook = None

    def generation(self) -> dict[str, object]:
        """The same as the service's own generations are asked for; null where its default is meant."""
        width, height = (None, None) if self.size in {None, "auto"} else map(int, str(self.size).split("x"))
        return {
            "prompt": self.prompt,
            "model": self.model,
            "num_images": self.n,
            "width": width,
            "height": height,
            "format": self.output_format,
            "webhook": self.webhook.given() if self.webhook else None,
        }


class OpenAIImage(ResponseModel):
    """A picture: its address or, in base64, itself. A prompt is never revised."""

    url: str | None
    b64_json: str | None
    revised_prompt: None


class ImagesAnswer(ResponseModel):
    """Pictures that were waited for; `created` in seconds since 1970."""

    created: int
    size: str
    output_format: PictureFormat
    data: list[OpenAIImage]
