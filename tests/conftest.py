"""What all tests share."""

import os
import tempfile

import pandas as pd
import pytest
from hypothesis import settings

# Before anything imports huggingface_hub: it reads these once, and must not meet the user's.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hf-home-")

# How long an example takes depends on what else the machine does.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.fixture
def small_panel():
    """Three base models of two organizations, observed on 2024-04-10."""
    from bayes_hfgrowth import Panel  # not before the environment above is set

    rows = [
        ("meta-llama/A", "Meta", "2024-01-31T10:00Z", 0, 0),
        ("meta-llama/A", "Meta", "2024-01-31T10:00Z", 1, 4),
        ("meta-llama/A", "Meta", "2024-01-31T10:00Z", 2, 9),
        ("Qwen/B", "Qwen", "2024-03-05", 0, 0),
        ("Qwen/B", "Qwen", "2024-03-05", 1, 0),
        ("facebook/C", "Meta", "2024-03-31", 0, 0),
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    return Panel.from_table(pd.DataFrame(rows, columns=columns).assign(observed_at="2024-04-10"))
