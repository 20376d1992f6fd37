/** A certificate of its own making for the name `images.test`, good for a hundred years; for tests only. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUdUA90bCgzBwgfas89ze1clCCq3swCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLaW1hZ2VzLnRlc3QwIBcNMjYxMTIxMTQwNzM3WhgPMjEyNjEw
MjgxNDA3MzdaMBYxFDASBgNVBAMMC2ltYWdlcy50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEwbNIQFqGCmNZE2HfnqWDGb7UpeVK6nkVSemFoXsJ6AXRtQjD
QDKt9BIWFf0RbgxHWQyOuO2WUDyCq6RAjylcUaNrMGkwHQYDVR0OBBYEFCgXwTL5
TNCVoH/kPsxIRhDydibUMB8GA1UdIwQYMBaAFCgXwTL5TNCVoH/kPsxIRhDydibU
MA8GA1UdEwEB/wQFMAMBAf8wFgYDVR0RBA8wDYILaW1hZ2VzLnRlc3QwCgYIKoZI
zj0EAwIDSAAwRQIhAJrZayP8bItlELuzseAZ/MiVk6BBz6kxsOArd33tLuTxAiAM
+LGAT5LVaItk2/CcRAF4q5Kwqic2d8ropf4EmhIcNg==
-----END CERTIFICATE-----
`

/** Its key, which guards nothing. */
export const certificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvMWreilxJkMbFLaS
EgwmWDdiVauXSfLhEf4CjUh4lomhRANCAATBs0hAWoYKY1kTYd+epYMZvtSl5Urq
eRVJ6YWhewnoBdG1CMNAMq30EhYV/RFuDEdZDI647ZZQPIKrpECPKVxR
-----END PRIVATE KEY-----
`
