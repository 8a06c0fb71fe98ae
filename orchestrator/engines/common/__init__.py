"""What engines share: whatever runs the cores, these are the same architecture, notifications, consoles and images."""
