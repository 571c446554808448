"""What goes over the wire: requests that are refused when they say too much, answers that always say everything."""
