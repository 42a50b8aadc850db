//! Writes the traces that the check in Python reads:
//! `cargo run -p zk-autograd-oracle --example traces > tests/prove/native/traces.jsonl`.

fn main() -> Result<(), zk_autograd_air::RuleError> {
    for line in zk_autograd_oracle::golden::lines()? {
        println!("{line}");
    }
    Ok(())
}
