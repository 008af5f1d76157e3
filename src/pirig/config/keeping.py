"""The part of the schema that says how a data set is kept on disk."""

from __future__ import annotations

from dataclasses import dataclass

from pirig.config.domains import Codec, Pictures, Version

IN_PLACE = "source"  # dataset.format


@dataclass
class DatasetConfig:
    format: Version = (
        "v3.0"  # LeRobot's; v2.1: what openpi's pinned lerobot reads; source: a recorded one as it lies, no copy
    )
    storage: Pictures = "images"  # images: without loss; video: smaller, with a loss that is measured and said
    codec: Codec = "h264"  # of the films, where storage=video
    path: str = (
        ""  # a data set of pirig's that is there, such as `pirig dataset` makes: trained on as it is, without demos
    )

    @property
    def films(self) -> str:
        """The codec, "" where pictures are kept without loss."""
        return self.codec if self.storage == "video" else ""

    @property
    def name(self) -> str:
        """What is added to the name of a data set of another form than the usual one, as in "-v2.1-h264"."""
        usual = DatasetConfig()
        return (f"-{self.format}" if self.format != usual.format else "") + (f"-{self.films}" if self.films else "")
