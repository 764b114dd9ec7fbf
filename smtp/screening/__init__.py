"""Looking at messages before they are delivered or sent: evidence is gathered here, and smtp.policy says what it means.

Law of the room: whatever fails, is slow or is down says nothing and holds nothing up for longer than its time; nothing
here delivers, files or answers.
"""
