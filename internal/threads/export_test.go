package threads

var (
	SignalNumber       = signalNumber
	NativeCountAddress = nativeCountAddress
)
