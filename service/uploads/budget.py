"""The pixel budget of a request: decoding costs time and memory by pixels, whatever the size of the files."""

from dataclasses import dataclass

from service.errors import ImageTooLargeError


@dataclass(slots=True)
class PixelBudget:
    """Pixels that the pictures of a request may have in all.

    Args:
        limit: of the whole request.
        used: by the pictures before.
    """

    limit: int
    used: int = 0

    def spend(self, name: str, pixels: int) -> None:
        """Count the pixels of a picture before they are decoded.

        Raises:
            ImageTooLargeError: the request is over its budget.
        """
        self.used += pixels
        if self.used > self.limit:
            raise ImageTooLargeError(
                f"With {name} the pictures of the request have more than {self.limit} pixels in all. "
                "Send fewer or smaller pictures."
            )
