"""What several tests share: a box as a process, a ticket server that obeys the test, polling."""
