"""The notification service's messages (R49 of docs/RULES.md): who was told what, and by which channel.

What is published never holds an e-mail address or the words of a letter.
"""
