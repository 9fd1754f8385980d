"""torchvision beside any torch: its operators for detection are compiled for one build of torch."""

import sys
from types import ModuleType
from typing import Any

_OPERATORS = "torchvision._meta_registrations"


def import_torchvision() -> Any:
    """Import torchvision, if need be without its compiled operators.

    pip's torchvision is compiled for pip's torch. Beside another build, such as that for the CPU
    alone, its operators for detection (``nms``, ``roi_align``) do not load, and the import ends in
    describing what is not there. Nothing here needs them, so that description is left out.

    timm, which imports it, can be imported from then on too.

    >>> import_torchvision().__name__
    'torchvision'
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    try:
        import torchvision
    except ImportError as error:
        raise ImportError(
            "Pictures need torchvision and timm, which are not installed: "
            "pip install torchvision timm."
        ) from error
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        # What the failed import left behind would be found in place of a whole torchvision.
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules[_OPERATORS] = ModuleType(_OPERATORS)
        import torchvision
    return torchvision
