//! Nothing. `cargo build -p olmo-node -p workspace-hack` gives shared dependencies the features that they have in
//! `cargo test --workspace`, so that both use the same compiled ones.
