"""Imports the real lerobot 0.4.4 beside whatever torch is installed. Fails, never skips, where it is absent."""

import os
import sys


def import_lerobot():
    """The module lerobot.datasets.lerobot_dataset, offline.

    torchvision's PyPI build does not import beside a CPU torch because two operators are not registered. Where, and
    only where, that happens they are declared and the import is tried again.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "nms does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_lerobot.library = library  # it must live as long as the operators
    _give_video_reader()
    from lerobot.datasets import lerobot_dataset

    return lerobot_dataset


def _give_video_reader():
    """torchvision's newest release has no VideoReader any more, which lerobot's decoding stands on; what it was, on PyAV.

    Which frames are asked for, and whether they are near enough in time, stays lerobot's own code.
    """
    import torchvision

    if hasattr(torchvision.io, "VideoReader"):
        return
    torchvision.io.VideoReader = VideoReader
    torchvision.set_video_backend = lambda backend: None


class VideoReader:
    def __init__(self, path, stream):
        import av

        self.container = av.open(path)

    def seek(self, time_s, keyframes_only=False):
        (stream,) = self.container.streams.video
        self.container.seek(int(time_s / stream.time_base), stream=stream)

    def __iter__(self):
        import torch

        for frame in self.container.decode(video=0):
            yield {"data": torch.from_numpy(frame.to_ndarray(format="rgb24").transpose(2, 0, 1)), "pts": frame.time}
