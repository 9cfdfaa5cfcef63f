// Addresses and secrets are part of this module's interface, and whoever imports it need not know where they are declared.
@_exported public import struct BatonCore.Endpoint
@_exported public import enum BatonCore.IPAddress
@_exported public import struct BatonCore.SecretBytes
