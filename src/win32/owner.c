/* Whose an object is. What has a name says for itself who may open it, or everybody of the session could: the default is the user's, and
 * the user may have changed it. And what is found under a name may have been put there by somebody else. */
#include "os.h"

static bool find_user(spork__ours *o)
{
    HANDLE token;
    DWORD size;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) return false;
    bool ok = GetTokenInformation(token, TokenUser, &o->token, sizeof o->token, &size);
    CloseHandle(token);
    return ok;
}

bool spork__ours_make(spork__ours *o)
{
    bool ok = find_user(o) && InitializeAcl(&o->list.acl, sizeof o->list, ACL_REVISION) &&
              AddAccessAllowedAce(&o->list.acl, ACL_REVISION, GENERIC_ALL, o->token.user.User.Sid) &&
              InitializeSecurityDescriptor(&o->descriptor, SECURITY_DESCRIPTOR_REVISION) &&
              SetSecurityDescriptorOwner(&o->descriptor, o->token.user.User.Sid, FALSE) && /* not an administrator's group */
              SetSecurityDescriptorDacl(&o->descriptor, TRUE, &o->list.acl, FALSE);
    o->attributes = (SECURITY_ATTRIBUTES){sizeof o->attributes, &o->descriptor, FALSE};
    return ok;
}

bool spork__is_ours(HANDLE object)
{
    union {
        SECURITY_DESCRIPTOR descriptor;
        char room[sizeof(SECURITY_DESCRIPTOR) + SECURITY_MAX_SID_SIZE];
    } about;
    spork__ours o;
    DWORD size;
    PSID owner = NULL;
    BOOL defaulted;
    return find_user(&o) && GetKernelObjectSecurity(object, OWNER_SECURITY_INFORMATION, &about, sizeof about, &size) &&
           GetSecurityDescriptorOwner(&about, &owner, &defaulted) && owner != NULL &&
           EqualSid(owner, o.token.user.User.Sid);
}
