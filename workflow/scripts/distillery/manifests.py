"""The name of the manifest that lies in directories of fetched, converted and exported files."""

MANIFEST = "manifest.json"
