"""The parts of benches/compare: what is compared (`scenarios`), by what (`proxies`), with which
cost (`measuring`, `idle`), and where it goes (`watching`)."""
