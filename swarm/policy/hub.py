"""Models from the Hugging Face hub: sizes asked for before anything is fetched, and only weights and JSON fetched."""

from __future__ import annotations

from pathlib import Path

from swarm.errors import InputError, NetworkError, Refused
from swarm.policy.weights import TEXTS

PATTERNS = [*TEXTS, "*.safetensors"]


def folder(repository: str, revision: str | None, cache: Path, most_bytes: int) -> Path:
    """The local folder of `ORG/NAME`; what was fetched before is used where the hub cannot be reached.

    Raises InputError where the hub has no such model, Refused("model files") where it is too large, NetworkError where there is neither
    hub nor copy.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError

    chosen = {"revision": revision, "cache_dir": cache / "hub", "allow_patterns": PATTERNS}
    try:
        files = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=30).siblings or []
        size = sum(file.size or 0 for file in files if file.rfilename in TEXTS or file.rfilename.endswith(".safetensors"))
        if size > most_bytes:
            what = f"{repository} has {size / 1e9:.1f} GB; this machine could hold {most_bytes / 1e9:.1f} GB"
            raise Refused("model files", what, "choose a smaller model")
        return Path(snapshot_download(repository, **chosen))
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403, 404):
            what = f"the hub has no model {repository} ({revision or 'newest'}) for you"
            raise InputError(what, "check the name, or accept the model's terms and log in") from None
        cause = error
    except (HTTPError, ConnectionError) as error:
        cause = error
    try:
        return Path(snapshot_download(repository, local_files_only=True, **chosen))
    except LocalEntryNotFoundError:
        what = f"the hub cannot be reached ({type(cause).__name__}), and {repository} was not fetched before"
        raise NetworkError(what, "connect, or use a recipe with model.source = `base` or `smollm2`, which need no hub") from None
