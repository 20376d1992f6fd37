/** A certificate of its own making for localhost and 127.0.0.1, good for a hundred years; for tests only. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUfqRzG25SlmBURCw67fsNc/9tXUUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE0MjQzNVoYDzIxMjYxMDI4
MTQyNDM1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQSCBdRup+UNwUFbrfCSbcX95bffUpPArKG6bB4+J1Dq3pf+UzCfLhE
JNIh4VIC/bxOc+MwKPBVbp2pUvXkNSTfo28wbTAdBgNVHQ4EFgQU4eJKysiyda8n
tn6FaC+jqQE/ZYAwHwYDVR0jBBgwFoAU4eJKysiyda8ntn6FaC+jqQE/ZYAwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgUAb+9APWlawq8uD0lYNX/IKGX/NpdHD8UkrUo0GDwugCIFPe
jN1UKtAk4aumxLhC90ZT1+OHdxd36VihhgpXcsOe
-----END CERTIFICATE-----
`

/** Its key, which guards nothing. */
export const certificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5hkE1/B8gilKGtKw
xjWWJdNPRNzYsEp3I8IxuStaULmhRANCAAQSCBdRup+UNwUFbrfCSbcX95bffUpP
ArKG6bB4+J1Dq3pf+UzCfLhEJNIh4VIC/bxOc+MwKPBVbp2pUvXkNSTf
-----END PRIVATE KEY-----
`
