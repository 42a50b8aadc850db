"""zk-verify: what a run's evidence shows, found by numbered steps under the auditor's policy.

`zk_autograd.verify_run` is the door. The steps, their modules and their numbers are listed in
`verifier`; docs/verification.md says what each of them shows.
"""
