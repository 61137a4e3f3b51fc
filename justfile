# What one does here every day. `just` alone lists it; every recipe is one plain command.

# The sample city at http://127.0.0.1:8080
run:
    cargo run --release -- demo

# Formatting, lints
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Every test; `just test rust` and `just test clients` run one half
test *what:
    tests/run {{what}}

# Portico beside DuckDB and ROAPI
bench *options:
    benches/compare {{options}}

# The crates' documentation, private items included
docs:
    cargo doc --workspace --no-deps --document-private-items --open

# Licences, sources and versions of the dependencies, and published vulnerabilities where cargo-deny is installed
audit:
    cargo test --locked --test main supply
    if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: advisories are not checked"; fi

# The bill of materials, as CycloneDX JSON
sbom:
    mkdir -p target
    supply/sbom > target/portico.cdx.json

# Fuzzes each target for so many seconds
fuzz seconds *targets:
    fuzz/run {{seconds}} {{targets}}
