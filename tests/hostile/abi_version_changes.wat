;; Speaks one version of the ABI and describes itself in another.
;; Expect: ProviderRejectedError abi-version
;; At: load
(module
  {{canned_of_version_two}}
  (data (i32.const 0x1000) "\ee\00\00\00" "\00\00\00\00"
    "{\22abi\22:1,\22name\22:\22canned\22,\22version\22:\221\22,\22layer\22:\22context\22,\22imports\22:[],\22offers\22:{\22integrity\22:true,\22confidentiality\22:true,\22mutualAuthentication\22:false,\22impersonation\22:\22identify\22,\22delegation\22:false},\22credentials\22:{\22client\22:[\22password\22]}}"))
