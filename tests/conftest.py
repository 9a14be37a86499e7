"""What all tests share."""

import os
import tempfile

from hypothesis import settings

# Before anything imports huggingface_hub: it reads these once, and must not meet the user's.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hf-home-")

# How long an example takes depends on what else the machine does.
settings.register_profile("default", deadline=None)
settings.load_profile("default")
