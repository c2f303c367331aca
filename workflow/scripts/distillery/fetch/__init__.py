"""Where models, shards and problem sets come from: hubs, wheels, local files, or a seeded generator."""
