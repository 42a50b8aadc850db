"""What zk-train trains: tables and models, built in or the user's own, and the loop over them, from
settings to summary."""
