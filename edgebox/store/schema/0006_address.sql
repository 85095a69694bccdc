-- The address that a device's QR code carried when it was last shown: its phone looks for the box there.
ALTER TABLE device ADD COLUMN shown_address TEXT;
