"""What a recorded program costs: counted operations and bytes, beside the bounds of the theory."""
