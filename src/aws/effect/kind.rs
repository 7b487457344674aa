//! What holds for all effects of a kind.

use super::EffectKind;
use crate::aws::error::{Operation, Service};

impl EffectKind {
    /// True where it removes something: not to find it is success, and no withdrawn permission stops it.
    #[must_use]
    pub const fn takes_down(self) -> bool {
        match self {
            Self::DeleteRolePolicy
            | Self::UntagRole
            | Self::DeleteRole
            | Self::RemoveClusterIamRole
            | Self::CancelStatement
            | Self::DeleteObjects
            | Self::AbortMultipartUpload
            | Self::DeleteVpcPeeringConnection
            | Self::DeleteTags
            | Self::DeleteRoute
            | Self::RevokeSecurityGroupIngress
            | Self::RevokeSecurityGroupEgress => true,
            Self::CreateRole
            | Self::UpdateAssumeRolePolicy
            | Self::PutRolePermissionsBoundary
            | Self::PutRolePolicy
            | Self::TagRole
            | Self::AddClusterIamRole
            | Self::ExecuteStatement
            | Self::PutObject
            | Self::CreateVpcPeeringConnection
            | Self::AcceptVpcPeeringConnection
            | Self::ModifyVpcPeeringConnectionOptions
            | Self::CreateTags
            | Self::CreateRoute
            | Self::ReplaceRoute
            | Self::AuthorizeSecurityGroupIngress
            | Self::AuthorizeSecurityGroupEgress => false,
        }
    }

    /// The API operation that executes it: each kind is named after it, but where one operation does two things.
    #[must_use]
    pub fn operation(self) -> Operation {
        let service = match self {
            Self::AddClusterIamRole | Self::RemoveClusterIamRole => {
                return Operation::new(Service::Redshift, "ModifyClusterIamRoles");
            }
            Self::CreateRole
            | Self::UpdateAssumeRolePolicy
            | Self::PutRolePermissionsBoundary
            | Self::PutRolePolicy
            | Self::DeleteRolePolicy
            | Self::TagRole
            | Self::UntagRole
            | Self::DeleteRole => Service::Iam,
            Self::ExecuteStatement | Self::CancelStatement => Service::RedshiftData,
            Self::PutObject | Self::DeleteObjects | Self::AbortMultipartUpload => Service::S3,
            Self::CreateVpcPeeringConnection
            | Self::AcceptVpcPeeringConnection
            | Self::ModifyVpcPeeringConnectionOptions
            | Self::DeleteVpcPeeringConnection
            | Self::CreateTags
            | Self::DeleteTags
            | Self::CreateRoute
            | Self::ReplaceRoute
            | Self::DeleteRoute
            | Self::AuthorizeSecurityGroupIngress
            | Self::AuthorizeSecurityGroupEgress
            | Self::RevokeSecurityGroupIngress
            | Self::RevokeSecurityGroupEgress => Service::Ec2,
        };
        Operation::new(service, self.into())
    }
}
