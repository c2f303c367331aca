"""MindSpeed-LLM's shell scripts, read without running anything, as a configuration of ours and what they contradict.

lexing, expansion, reading      text -> commands with their words, each with script:line, as bash would make them
programs, unkeyed               commands -> stages with their flags; which of them no key of ours holds
script_models, script_datasets  what the scripts say of both, and which known ones those are
configuration, yaml_text        stages -> a configuration, as said and as written
contradictions, importing       what the plan's checks and ours find in it, under script:line
"""
