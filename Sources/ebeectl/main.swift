import EbeeClient

Ebeectl.runAndExit()
