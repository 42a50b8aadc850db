"""Parses in-toto Statements by the project's own definitions (in-toto-attestation), in their own
environment: standard input holds a JSON statement, standard output gets what was understood.

Its parser refuses a field that the definitions don't have.
"""

import json
import sys


def main() -> None:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import resource_descriptor, statement, statement_pb2

    text = sys.stdin.read()
    parsed = json_format.Parse(text, statement_pb2.Statement())
    statement.Statement.copy_from_pb(parsed).validate()
    provenance = json_format.Parse(json.dumps(json.loads(text)["predicate"]), provenance_pb2.Provenance())
    for resource in provenance.build_definition.resolved_dependencies:
        resource_descriptor.ResourceDescriptor.copy_from_pb(resource).validate()
    print(json_format.MessageToJson(provenance))


if __name__ == "__main__":
    main()
