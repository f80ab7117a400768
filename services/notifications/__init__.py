"""What people are told unasked: alerts to the administrators, and the outbox that the notifier sends."""
