/*
 * What the Windows SDK declares and mingw-w64's headers (10.0) do not.
 *
 * Sources, which agree:
 *   microsoft/win32metadata: Windows.Win32.Networking.WinSock, generated from the Windows SDK's mstcpip.h
 *   MicrosoftDocs/sdk-api: sdk-api-src/content/mstcpip/ns-mstcpip-socket_security_settings_ipsec.md (flags)
 *   MicrosoftDocs/sdk-api: sdk-api-src/content/fwpmtypes/ns-fwpmtypes-fwpm_session0.md (FWPM_SESSION_FLAG_DYNAMIC)
 */

#ifndef SIO_SET_SECURITY
#define SIO_SET_SECURITY _WSAIOW(IOC_VENDOR, 200)
#define SIO_QUERY_SECURITY _WSAIORW(IOC_VENDOR, 201)
#define SIO_SET_PEER_TARGET_NAME _WSAIOW(IOC_VENDOR, 202)
#define SIO_DELETE_PEER_TARGET_NAME _WSAIOW(IOC_VENDOR, 203)
#endif

#ifndef SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE
#define SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE _WSAIOR(IOC_VENDOR, 205)
#endif

#ifndef SOCKET_SETTINGS_IPSEC_OPTIONAL_PEER_NAME_VERIFICATION
#define SOCKET_SETTINGS_IPSEC_OPTIONAL_PEER_NAME_VERIFICATION 0x00000002
#define SOCKET_SETTINGS_IPSEC_ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED 0x00000004
#define SOCKET_SETTINGS_IPSEC_PEER_NAME_IS_RAW_FORMAT 0x00000008
#endif

#ifndef SOCKET_QUERY_IPSEC2_ABORT_CONNECTION_ON_FIELD_CHANGE
#define SOCKET_QUERY_IPSEC2_ABORT_CONNECTION_ON_FIELD_CHANGE 0x00000001
#define SOCKET_QUERY_IPSEC2_FIELD_MASK_MM_SA_ID 0x00000001
#define SOCKET_QUERY_IPSEC2_FIELD_MASK_QM_SA_ID 0x00000002

typedef struct {
  SOCKET_SECURITY_PROTOCOL SecurityProtocol;
  SOCKADDR_STORAGE PeerAddress;
  ULONG PeerTokenAccessMask;
  ULONG Flags;
  ULONG FieldMask;
} SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2;

typedef struct {
  SOCKET_SECURITY_PROTOCOL SecurityProtocol;
  ULONG Flags;
  UINT64 PeerApplicationAccessTokenHandle;
  UINT64 PeerMachineAccessTokenHandle;
  UINT64 MmSaId;
  UINT64 QmSaId;
  UINT32 NegotiationWinerr;
  GUID SaLookupContext;
} SOCKET_SECURITY_QUERY_INFO_IPSEC2;
#endif

#ifndef FWPM_SESSION_FLAG_DYNAMIC
#define FWPM_SESSION_FLAG_DYNAMIC 0x00000001
#endif

/* MicrosoftDocs/sdk-api: .../ipsectypes/ns-ipsectypes-ipsec_auth_transform_id0.md, ..._cipher_transform_id0.md */
#ifndef IPSEC_AUTH_CONFIG_HMAC_SHA_1_96
#define IPSEC_AUTH_CONFIG_HMAC_SHA_1_96 1
#define IPSEC_AUTH_CONFIG_HMAC_SHA_256_128 2
#define IPSEC_AUTH_CONFIG_GCM_AES_128 3
#define IPSEC_AUTH_CONFIG_GCM_AES_192 4
#define IPSEC_AUTH_CONFIG_GCM_AES_256 5
#define IPSEC_CIPHER_CONFIG_CBC_AES_128 3
#define IPSEC_CIPHER_CONFIG_CBC_AES_192 4
#define IPSEC_CIPHER_CONFIG_CBC_AES_256 5
#define IPSEC_CIPHER_CONFIG_GCM_AES_128 6
#define IPSEC_CIPHER_CONFIG_GCM_AES_192 7
#define IPSEC_CIPHER_CONFIG_GCM_AES_256 8
#endif
