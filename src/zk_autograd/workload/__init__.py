"""What zk-train trains: data that ship with scikit-learn, small models, and the loop over them. Nothing here knows of proofs."""
