"""The parts of one run: its workspace, the conversion of jobs, the fingerprint of the product, publishing."""
