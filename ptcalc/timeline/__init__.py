"""What happens over time: the state of all page tables after each event, under each policy."""
