"""zk-verify: what a run's evidence shows, found by numbered steps under the auditor's policy.

    from zk_autograd.verify.policy import Policy
    from zk_autograd.verify.verifier import Verifier

    report = Verifier(Policy(keys=(key,), srs=frozenset({digest}))).verify(run)
    print(report.text())

The steps, their modules and their numbers are listed in `verifier`; docs/verification.md says what
each of them shows.
"""
