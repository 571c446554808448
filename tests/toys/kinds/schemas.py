"""Would stand in api/schemas/requests.py: the body of a request."""

from api.schema_fields import RequestModel, Text
from tests.toys.kinds.rules import ToyParams


class ToyRequest(RequestModel):
    """A toy."""

    text: Text

    def params(self):
        return ToyParams(text=self.text)
