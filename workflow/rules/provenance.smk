"""Say of each file what made it, at the end of each run: nothing waits for it, and it makes nothing stale.

Outputs: results/provenance/PATH.json for each output of a rule, and ro-crate-metadata.json.
"""


# in this process, for a job would start Python once more; imported here, for a dry run needs none of it
onsuccess:
    from distillery.trace import research_crate

    research_crate.at_end(CONFIG)


# what a run that failed has finished stays
onerror:
    from distillery.trace import research_crate

    research_crate.at_end(CONFIG)
